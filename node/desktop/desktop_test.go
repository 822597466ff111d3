package desktop

import (
	"testing"
	"time"
)

func TestWhatAMacPrintsIsUnderstood(t *testing.T) {
	const hid = `+-o IOHIDSystem  <class IOHIDSystem, id 0x10000033f, registered, matched, active, busy 0 (0 ms), retain 18>
    {
      "IOClass" = "IOHIDSystem"
      "HIDParameters" = {"HIDIdleTime"=7,"HIDClickTime"=500000000}
      "HIDIdleTime" = 83250000000
      "HIDServiceGlobalModifiersUsage" = 1
    }
`
	if idle, ok := hidIdle([]byte(hid)); !ok || idle != 83250*time.Millisecond {
		t.Errorf("%v %v", idle, ok)
	}
	for _, s := range []string{"", `"HIDIdleTime" = `, `"HIDIdleTime" = -1`, `"HIDIdleTime" = 99999999999999999999`, `"HIDIdleTime" = soon`} {
		if idle, ok := hidIdle([]byte(s)); ok {
			t.Errorf("%q: %v", s, idle)
		}
	}
	for s, want := range map[string]bool{
		`+-o Root  <class IORegistryEntry, id 0x100000100>
    {
      "IOConsoleLocked" = Yes
      "IOConsoleUsers" = ({"kCGSSessionOnConsoleKey"=Yes})
    }`: true,
		`      "IOConsoleLocked" = No`: false,
		``:                             false,
	} {
		if got := consoleLocked([]byte(s)); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}
