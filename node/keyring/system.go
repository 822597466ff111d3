package keyring

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/zalando/go-keyring"
)

// SystemVariable is the environment variable that, set to "off", keeps Earshot
// from using the operating system's keyring.
const SystemVariable = "EARSHOT_KEYRING"

// System is a keyring of the operating system: the macOS Keychain, the Windows
// Credential Manager, or what speaks the Secret Service protocol on a desktop.
type System interface {
	Get(service, user string) (string, error)
	Set(service, user, secret string) error
	Delete(service, user string) error
}

// systemTimeout bounds every call. A keyring that is locked asks its owner for a
// password meanwhile, and a broken one never answers.
const systemTimeout = 10 * time.Second

// service is the name under which entries stand in the system's keyring.
const service = "earshot"

var errNoSystem = errors.New("this session has no keyring")

type systemKeyring struct{}

func (systemKeyring) Get(service, user string) (string, error) { return keyring.Get(service, user) }
func (systemKeyring) Set(service, user, secret string) error {
	return keyring.Set(service, user, secret)
}
func (systemKeyring) Delete(service, user string) error { return keyring.Delete(service, user) }

// SystemKeyring returns the operating system's keyring, or nil where this session
// has none or EARSHOT_KEYRING says off.
func SystemKeyring() System {
	if os.Getenv(SystemVariable) == "off" || !hasSystemKeyring() {
		return nil
	}
	return systemKeyring{}
}

// bounded runs a call that knows no context. One that does not return in time is
// left behind, and ends with the process: neither D-Bus nor the libraries above it
// offer anything better.
func bounded(ctx context.Context, call func() (string, error)) (string, error) {
	type result struct {
		value string
		err   error
	}
	results := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil { // answers of an unexpected kind make the library panic
				r.err = fmt.Errorf("the system's keyring answered nonsense: %v", p)
			}
			results <- r
		}()
		r.value, r.err = call()
	}()
	late := time.NewTimer(systemTimeout)
	defer late.Stop()
	select {
	case r := <-results:
		return r.value, r.err
	case <-late.C:
		return "", fmt.Errorf("the system's keyring did not answer within %v", systemTimeout)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// storeEntry stores a key, and reads it back: some keyrings take what they do not
// keep.
func storeEntry(ctx context.Context, system System, account string, key []byte) error {
	text := base64.StdEncoding.EncodeToString(key)
	if _, err := bounded(ctx, func() (string, error) { return "", system.Set(service, account, text) }); err != nil {
		return err
	}
	back, err := bounded(ctx, func() (string, error) { return system.Get(service, account) })
	if err == nil && back != text {
		err = errors.New("the system's keyring did not keep the key")
	}
	return err
}

func loadEntry(ctx context.Context, system System, account string) ([]byte, error) {
	text, err := bounded(ctx, func() (string, error) { return system.Get(service, account) })
	if errors.Is(err, keyring.ErrNotFound) {
		return nil, errors.New("the system's keyring holds no key for this home")
	}
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != secretSize {
		return nil, errors.New("the entry for this home in the system's keyring is not what Earshot wrote")
	}
	return key, nil
}

// forgetEntry removes an entry, if there is one.
func forgetEntry(ctx context.Context, system System, account string) error {
	_, err := bounded(ctx, func() (string, error) { return "", system.Delete(service, account) })
	if errors.Is(err, keyring.ErrNotFound) {
		return nil
	}
	return err
}
