"""Side-by-side measurements against other packages."""
