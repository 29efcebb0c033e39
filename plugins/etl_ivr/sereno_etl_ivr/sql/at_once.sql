-- What the target would check at the commit is checked in each statement.
SET CONSTRAINTS ALL IMMEDIATE
