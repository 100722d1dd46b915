"""{{ summary }}. Extend the class to do more than its keys in config.ini offer."""

from {{ step_module }} import {{ step_class }}

if __name__ == "__main__":
    {{ step_class }}.main()
