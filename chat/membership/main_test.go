package membership

import (
	"flag"
	"os"
	"testing"
)

// The properties are cheap to try, and what breaks a rule is rare.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "400"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
