package run

import (
	"fmt"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// What a tag takes in a file: never less than the least, and in most files the
// usual.
const (
	leastTagBytes = 1
	usualTagBytes = 8
)

// Room is what a place has for a run.
type Room struct {
	Path string
	Free quantity.Size
	Tags int64 // that will come at least, as far as the recipe says
}

// CheckSpace refuses a place with less than below bytes left, and one in which
// the tags that are expected cannot fit.
func CheckSpace(path string, below quantity.Size, tags int64) (Room, error) {
	free, err := FreeSpace(path)
	if err != nil {
		return Room{}, err
	}
	room := Room{path, free, tags}
	switch {
	case free < below:
		return room, &sdk.Failure{
			Code:    "disk-full",
			Message: fmt.Sprintf("%s has %d MiB left, the recipe wants %d MiB", path, free>>20, below>>20),
			Hint:    "free some space, choose another place with --runs (a slave: --data), or lower faults.disk_below",
			Field:   "faults.disk_below",
		}
	case int64(free) < tags*leastTagBytes:
		return room, &sdk.Failure{
			Code:    "disk-full",
			Message: fmt.Sprintf("%s has %d MiB left, and %d tags will come at the lowest rates that expect calls good: they cannot fit", path, free>>20, tags),
			Hint:    "free some space, choose another place with --runs (a slave: --data), or measure for a shorter time",
			Field:   "expect",
		}
	}
	return room, nil
}

// Warning says that the tags which are expected will fill the place in most
// formats; "" where they will not.
func (r Room) Warning() string {
	if int64(r.Free)/usualTagBytes >= r.Tags {
		return ""
	}
	return fmt.Sprintf("%s has %d MiB left; at %d bytes a tag, the %d tags of the lowest rates that expect calls good will not fit",
		r.Path, r.Free>>20, usualTagBytes, r.Tags)
}
