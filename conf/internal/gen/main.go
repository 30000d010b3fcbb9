// Command gen writes the files made from the table of configuration keys.
package main

import (
	"fmt"
	"os"

	"systole/conf"
)

func main() {
	for name, text := range map[string]string{"systole.conf.sample": conf.Sample(), "systole.conf.5": conf.Manual()} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
