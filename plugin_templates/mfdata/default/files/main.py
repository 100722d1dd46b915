"""What the plugin does with a file."""

from mfdata import Done, File, Step


class Main(Step):
    """What is done with each file."""

    def process(self, file: File) -> Done:
        """Be done with *file*.

        Return ``Done(to="plugin/step")`` to hand it over, ``Retry()`` to try again later, ``Failed("why")`` to give up.
        Make new files at ``self.output("name")`` and return them: ``Done(output, to="plugin/step")``.
        """
        self.log.info("file seen", name=file.basename, size=file.size)
        return Done()


if __name__ == "__main__":
    Main.main()
