package run

// heading is the first line of a result, after one that marks simulated tags.
func (a *analysis) heading(columns string, channels ...string) string {
	if a.simulated(channels...) {
		return "# SIMULATED: computed, not measured\n" + columns + "\n"
	}
	return columns + "\n"
}

// simulated says whether any of the channels is of a simulated device.
func (a *analysis) simulated(channels ...string) bool {
	for _, name := range channels {
		c := a.channel(name)
		if c == nil {
			continue
		}
		if k := a.manifest.nodeOf(name).Controllers[c.Controller]; k != nil && k.Device.Simulated {
			return true
		}
	}
	return false
}
