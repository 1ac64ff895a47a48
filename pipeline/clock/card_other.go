//go:build !linux

package clock

import "errors"

func cardOffset(string) (offset, doubt int64, err error) {
	return 0, 0, errors.New("the clocks of network cards are read on Linux alone")
}
