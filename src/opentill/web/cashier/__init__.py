"""The till in a browser: `/cashier/`."""
