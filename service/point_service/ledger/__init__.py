"""Every operation on points: decided by `domain`, written through `mysql`, in the order that `turns` gives."""
