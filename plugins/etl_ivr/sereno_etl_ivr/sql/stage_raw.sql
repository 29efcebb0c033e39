-- The cells of a page with a fault, as texts: which row has the fault is found out here.
CREATE TEMP TABLE raw_page
  ("row number" integer, content text, position text, {texts}, aside text)
ON COMMIT DROP
