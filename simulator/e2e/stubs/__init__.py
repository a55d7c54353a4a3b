"""In the search path of the demo's Home Assistant only, see `sitecustomize`."""
