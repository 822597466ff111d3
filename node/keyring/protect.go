package keyring

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"earshot/chat"
)

// Protection says what keeps others from opening a home that they have a copy of.
type Protection struct {
	Passphrase bool // a passphrase opens it
	System     bool // the operating system's keyring opens it, without asking
}

// Any reports whether anything does.
func (p Protection) Any() bool { return p.Passphrase || p.System }

// Protected returns what protects a home; nothing protects one that is not there,
// or that an earlier version left in plain text.
func Protected(home string) (Protection, error) {
	f, err := readUnlock(home)
	if errors.Is(err, fs.ErrNotExist) {
		return Protection{}, nil
	}
	if err != nil {
		return Protection{}, err
	}
	return Protection{Passphrase: f.Passphrase != nil, System: f.System != nil}, nil
}

// SetPassphrase sets or changes a home's passphrase to the one that choose returns,
// which it calls once the home has been opened as Options say. It writes nothing but
// how the store key is wrapped, so that it takes no longer for a large history, and
// may be done while a node runs. After a failure the old passphrase holds.
func SetPassphrase(ctx context.Context, home string, opt Options, choose func(context.Context) ([]byte, error)) error {
	s, err := current(ctx, home, &opt)
	if err != nil {
		return err
	}
	pass, err := choose(ctx)
	if err != nil {
		return err
	}
	if err := checkPassphrase(pass); err != nil {
		return err
	}
	w := wrapByPassphrase(pass, &s)
	return change(ctx, home, func(f *unlockFile) error {
		f.Passphrase, f.Unprotected = w, nil
		return nil
	})
}

// RemovePassphrase makes the home open without a passphrase: by the system's
// keyring where there is one, else for whoever can read it.
func RemovePassphrase(ctx context.Context, home string, opt Options) error {
	s, err := current(ctx, home, &opt)
	if err != nil {
		return err
	}
	return change(ctx, home, func(f *unlockFile) error {
		if f.Passphrase == nil {
			return chat.Errorf(chat.CodeUsage, "The home %s has no passphrase. Set one with: earshot passphrase", home)
		}
		f.Passphrase = nil
		if f.System == nil && !f.remember(ctx, opt.System, &s) {
			f.Unprotected, f.Remember = s[:], false
		}
		return ctx.Err()
	})
}

// Forget makes the next start ask for the passphrase: what the system's keyring
// knows is worth nothing afterwards. A home without a passphrase is refused with
// CodeDenied, since nothing could open it again.
func Forget(ctx context.Context, home string, system System) error {
	account := ""
	err := change(ctx, home, func(f *unlockFile) error {
		if f.Passphrase == nil {
			return chat.Errorf(chat.CodeDenied, "The home %s has no passphrase, so it can't be locked: nothing could open it again. Set one first: earshot passphrase", home)
		}
		if f.System != nil {
			account = f.account()
		}
		f.System = nil
		return nil
	})
	if err != nil || account == "" || system == nil {
		return err
	}
	// The other half of what opened the home is gone already.
	_ = forgetEntry(ctx, system, account)
	return nil
}

// current opens a home for a change of how it is opened: whoever asks must know
// the passphrase, if there is one, also where the system's keyring would do.
func current(ctx context.Context, home string, opt *Options) (secret, error) {
	f, err := readUnlock(home)
	if errors.Is(err, fs.ErrNotExist) {
		return secret{}, chat.Errorf(chat.CodeHomeBroken, "The home %s holds no encrypted keys yet. Start Earshot on it first.", home)
	}
	if err != nil {
		return secret{}, err
	}
	if f.Passphrase != nil {
		s, _, err := f.byPassphrase(ctx, home, opt)
		return s, err
	}
	s, _, err := f.open(ctx, home, opt)
	return s, err
}

// change rewrites the unlock file. A lock keeps two changes at once from undoing
// each other; the home's own lock may be a running node's.
func change(ctx context.Context, home string, f func(*unlockFile) error) error {
	lock := flock.New(filepath.Join(home, unlockName+".lock"), flock.SetPermissions(0o600))
	if ok, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil || !ok {
		return homeFailed(home, errors.Join(err, lock.Close()))
	}
	defer func() { _ = lock.Close() }() // nothing was written to it
	file, err := readUnlock(home)
	if err != nil {
		return err
	}
	if err := f(file); err != nil {
		return err
	}
	return writeUnlock(home, file)
}
