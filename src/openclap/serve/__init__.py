"""The HTTP service: requests with texts and sounds come in; vectors, labels, hits and events go out as JSON."""
