"""From a source of Vietnamese text to clean instruction samples for open-domain NER."""
