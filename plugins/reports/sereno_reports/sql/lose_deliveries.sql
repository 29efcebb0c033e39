-- Where nothing may be sent twice: what a sender left behind may have arrived, and is not sent again.
UPDATE sereno_reports.delivery
SET state = 'unknown', changed_at = clock_timestamp(), error = 'its sender ended while it was sent'
WHERE state = 'sending' AND next_at <= clock_timestamp()
