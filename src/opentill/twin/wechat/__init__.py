"""WeChat Pay API v3 (channels B)."""
