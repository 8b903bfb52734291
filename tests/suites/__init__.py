"""Other tools' test suites as histories: their SQL, read from a clone or a source tree, is squashed case by case."""
