-- $1 oid: an index. Raises what is wrong with it.
SELECT bt_index_check($1::oid::regclass, true)
