"""The interfaces merchants call. One file each; its COMMAND is the table that code and documents are drawn from."""
