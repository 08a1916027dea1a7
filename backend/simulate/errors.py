"""What `simulate` refuses."""


class OptionsError(ValueError):
    """Options, or a folder of images, that nothing can be measured with; the message names what to change."""
