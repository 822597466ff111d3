//go:build !linux

package host

import "errors"

func segmentsIn(uintptr) (uint32, error) { return 0, errors.ErrUnsupported }
