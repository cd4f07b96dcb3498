def tariff_cost(*a, **k):
    return None
