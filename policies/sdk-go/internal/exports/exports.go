// Package exports knows which kinds of review a policy says that it answers, by importing their packages.
package exports

var expected []kind

type kind struct {
	name  string
	ready func() bool
}

// Expect is called where a package becomes a part of the component.
func Expect(name string, ready func() bool) { expected = append(expected, kind{name, ready}) }

// Missing are the packages that were imported, and not told what to do.
func Missing() (names []string) {
	for _, one := range expected {
		if !one.ready() {
			names = append(names, one.name)
		}
	}
	return names
}
