from . import test_customer_card
