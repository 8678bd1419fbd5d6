"""Pictures for the documents: a shop with a week of invented sales, seen in a browser. `make screenshots`."""
