-- {index}: one whose making was cut off.
DROP INDEX CONCURRENTLY IF EXISTS {index}
