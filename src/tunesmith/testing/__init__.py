"""Contract suites for those who write plug-ins: subclass one, give its fixtures, run pytest.

    from tunesmith.testing.storage import StorageContract

    class TestMyStorage(StorageContract):
        @pytest.fixture
        def storage(self, clock): ...

Say ``pytest.register_assert_rewrite("tunesmith.testing")`` in your ``conftest.py`` first, so that a
failure shows the values. These modules need pytest; nothing else in Tunesmith imports them.
"""
