import warnings

with warnings.catch_warnings():
    # At its first use the library imports all its plug-ins, and they import deprecated modules.
    warnings.simplefilter("ignore")
    import apprise

    apprise.Apprise.instantiate("json://localhost")
