-- The newest name that calls give an agent, where nothing better names it.
INSERT INTO ivr.names AS known (source, kind, id, name, origin)
SELECT DISTINCT ON (source, agent) source, 'agent', agent, dst_name, 'calls'
FROM pg_temp.leg WHERE agent IS NOT NULL AND dst_name <> '' AND dst = agent
ORDER BY source, agent, started_at DESC, dst_name
ON CONFLICT (source, kind, id) DO UPDATE SET name = excluded.name, seen_at = now()
WHERE known.origin = 'calls' AND known.name <> excluded.name
