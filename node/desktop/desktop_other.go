//go:build !linux && !darwin && !windows

package desktop

import (
	"context"

	"earshot/chat"
)

// system is that of which nothing is known.
type system struct{}

func newSystem() system { return system{} }

func (d *Desktop) end() {}

func (d *Desktop) sources() []source { return nil }

func (d *Desktop) watchers() map[string]func(context.Context, *state) error { return nil }

func (d *Desktop) show(context.Context, Note) error {
	return chat.Errorf(chat.CodeUnreachable, "Earshot shows no notifications on this system. Turn them off: earshot alerts desktop off")
}

func (d *Desktop) withdraw(context.Context, string) error { return nil }
