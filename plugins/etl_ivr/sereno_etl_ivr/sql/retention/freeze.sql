-- Figures before $2 are made of nothing anew: their calls are kept no more. $1: the source.
INSERT INTO ivr.aggregated AS kept (source, frozen_before) VALUES ($1, $2)
ON CONFLICT (source) DO UPDATE SET frozen_before = greatest(kept.frozen_before, excluded.frozen_before)
