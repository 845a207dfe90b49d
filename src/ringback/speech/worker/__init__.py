"""The synthesiser process: turns passages into wav files by programs that it keeps running."""
