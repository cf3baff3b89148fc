"""The web page: tabs over one desk that computes, in English and 中文."""
