package desktop

import (
	"context"
	"errors"
	"os/exec"

	"earshot/chat"
)

// system is how macOS is reached: by its own programs, since its frameworks would need
// cgo.
type system struct{}

func newSystem() system { return system{} }

func (d *Desktop) end() {}

func (d *Desktop) sources() []source { return []source{{"macos", openIoreg}} }

// watchers are none: locking is asked for with the rest.
func (d *Desktop) watchers() map[string]func(context.Context, *state) error { return nil }

type ioreg struct{}

func openIoreg(context.Context) (asker, error) { return ioreg{}, nil }

func (ioreg) ask(ctx context.Context) (reading, error) {
	hid, err := exec.CommandContext(ctx, "/usr/sbin/ioreg", "-r", "-c", "IOHIDSystem", "-d1").Output()
	if err != nil {
		return reading{}, err
	}
	idle, ok := hidIdle(hid)
	if !ok {
		return reading{}, errors.New("ioreg knows no HIDIdleTime")
	}
	root, err := exec.CommandContext(ctx, "/usr/sbin/ioreg", "-n", "Root", "-d1").Output()
	return reading{idle: idle, locked: consoleLocked(root)}, err
}

func (ioreg) close() {}

// notifyScript shows a notification. The words are arguments, never part of the script.
const notifyScript = `on run argv
	display notification (item 2 of argv) with title (item 1 of argv)
end run`

func (d *Desktop) show(ctx context.Context, n Note) error {
	if n.Silent {
		return nil // what is shown can't be changed
	}
	// A "-" before it would make of a title an option of osascript.
	err := exec.CommandContext(ctx, "/usr/bin/osascript", "-e", notifyScript, "--", n.Title, n.Body).Run()
	if err != nil && ctx.Err() == nil {
		return chat.Wrap(chat.CodeUnreachable, err, "macOS shows no notifications of Earshot's.",
			"Allow them for Script Editor in System Settings, or turn them off: earshot alerts desktop off")
	}
	return err
}

// withdraw does nothing: macOS lets only an application with a bundle take back what it
// has shown.
func (d *Desktop) withdraw(context.Context, string) error { return nil }
