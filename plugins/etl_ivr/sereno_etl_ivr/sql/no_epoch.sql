-- Where no column tells when the channel began.
NULL::timestamptz
