"""Who ccr is to a Databricks workspace, and the token that proves it.

    resolve.py        settings + environment + ~/.databrickscfg  ->  Identity             pure
    credentials.py    Identity  ->  Credentials, what the gateway asks for each request
    token_cache.py    when a token is used, renewed, waited for, given up                 pure
    renewing.py       the one renewal at a time that the state machine asks for
    oauth_m2m.py  databricks_cli.py  sdk.py        where a renewed token comes from
    static.py  on_behalf_of.py                     tokens that are not renewed
    refusals.py       whether an answer refuses the token                                 pure

A token is a ``Secret`` from the place it is read to the header it is sent in; errors and logs never hold one.
"""
