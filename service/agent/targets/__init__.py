"""Where a bundle is installed. A target never shows a half-written bundle, whatever crashes."""
