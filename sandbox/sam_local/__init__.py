"""`make sam-local`: each event file through `sam local invoke`, in a container, and the comparison with their table."""
