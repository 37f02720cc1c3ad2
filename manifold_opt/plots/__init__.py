"""Figures. The only place that imports matplotlib; import it where a figure is wanted."""
