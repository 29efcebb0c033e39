"""The statements of the tasks. Each may be made twice: what was told is not told again."""

CHECKS = {
    "unanswered": (
        """
        INSERT INTO crm.notification (kind, subject, seller)
        SELECT 'unanswered', c.id || '/' || c.last_customer_at, c.seller
          FROM crm.conversation c
         WHERE c.last_customer_at < now() - interval '1 hour'
           AND c.last_customer_at > coalesce(c.last_reply_at, '-infinity')
            ON CONFLICT DO NOTHING
        """,
        "",
    ),
    "hot_lead": (
        """
        INSERT INTO crm.notification (kind, subject, seller)
        SELECT 'hot_lead', l.id::text, l.seller FROM crm.lead l
         WHERE l.probability >= $1::float8 AND NOT l.converted ON CONFLICT DO NOTHING
        """,
        "hot_probability",
    ),
    "follow_up": (
        """
        INSERT INTO crm.notification (kind, subject, seller)
        SELECT 'follow_up', l.id || '/' || l.follow_up_at, l.seller FROM crm.lead l
         WHERE l.follow_up_at <= now() AND NOT l.converted ON CONFLICT DO NOTHING
        """,
        "",
    ),
    "performance": (
        """
        INSERT INTO crm.notification (kind, subject, seller)
        SELECT 'performance', c.seller || '/' || current_date, c.seller FROM crm.conversation c
         GROUP BY c.seller HAVING avg(c.response_seconds) > $1::float8 ON CONFLICT DO NOTHING
        """,
        "slow_response_seconds",
    ),
}
"""By kind: a statement, and the setting that it takes."""

REFRESH = """
    INSERT INTO crm.seller_metric AS m
    SELECT s.id, now(),
           (SELECT count(*) FROM crm.conversation c WHERE c.seller = s.id),
           (SELECT count(*) FROM crm.conversation c
             WHERE c.seller = s.id AND c.opened_at >= current_date),
           (SELECT avg(c.response_seconds) FROM crm.conversation c WHERE c.seller = s.id),
           (SELECT avg(l.converted::int) FROM crm.lead l WHERE l.seller = s.id),
           (SELECT count(*) FROM crm.lead l WHERE l.seller = s.id),
           (SELECT count(*) FROM crm.lead l WHERE l.seller = s.id AND l.converted)
      FROM crm.seller s WHERE s.role = 'seller'
    RETURNING m.*
"""

CLEANUP = {
    "notification": """
        DELETE FROM crm.notification WHERE made_at < now() - interval '7 days'
    """,
    "seller_metric": """
        DELETE FROM crm.seller_metric WHERE at < now() - interval '30 days'
    """,
    "chat_session": """
        DELETE FROM crm.chat_session WHERE active_at < now() - interval '7 days'
    """,
}

REPORT = """
    WITH made AS (
      INSERT INTO crm.notification AS n (kind, subject, seller, body)
      SELECT 'report', ceo.id || '/' || $1::date, ceo.id, (
               SELECT jsonb_build_object(
                        'sellers', count(*),
                        'conversations_today', coalesce(sum(m.conversations_today), 0),
                        'conversations', coalesce(sum(m.conversations), 0),
                        'leads', coalesce(sum(m.leads), 0),
                        'converted', coalesce(sum(m.converted), 0),
                        'response_seconds', round(avg(m.response_seconds)))
                 FROM crm.seller s
                 JOIN LATERAL (SELECT * FROM crm.seller_metric m WHERE m.seller = s.id
                                ORDER BY at DESC LIMIT 1) m ON true
                WHERE s.boss = ceo.id)
        FROM crm.seller ceo WHERE ceo.role = 'ceo'
      ON CONFLICT (kind, subject) DO UPDATE SET body = excluded.body
      RETURNING n.seller, n.body::text)
    SELECT made.seller, s.name, made.body FROM made JOIN crm.seller s ON s.id = made.seller
"""

USAGE = """
    SELECT kind, count(*) FILTER (WHERE n.made_at >= current_date) AS count
      FROM unnest(ARRAY['unanswered', 'hot_lead', 'follow_up', 'performance', 'report']) AS kind
      LEFT JOIN crm.notification n USING (kind)
     GROUP BY kind
"""
