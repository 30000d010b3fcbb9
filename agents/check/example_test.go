package check_test

import (
	"fmt"

	"systole/agents/check"
)

func ExampleParse() {
	s, err := check.Parse(`http path=/health status=200-299,304 host=www.example.org interval=1 timeout=1s rise=2`)
	fmt.Println(s, err)
	_, err = check.Parse(`http path=health fall=none`)
	fmt.Println(err)
	// Output:
	// http path=/health host=www.example.org status=200-299,304 interval=1s timeout=1s <nil>
	// check http: option fall: "none" is not a whole number from 1 to 1000
}
