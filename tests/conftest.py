import pytest

pytest.register_assert_rewrite("tunesmith.testing")
