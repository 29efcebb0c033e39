-- $1 checks, $2 ok, $3 sentences, $4 examples, $5 the run
INSERT INTO cleanup.check_result ("check", ok, sentence, examples, run_id)
SELECT u.name, u.ok, u.sentence, u.examples::jsonb, $5
  FROM unnest($1::text[], $2::boolean[], $3::text[], $4::text[]) AS u (name, ok, sentence, examples)
