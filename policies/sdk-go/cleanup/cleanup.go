// Package cleanup has something to do when the policy is unloaded.
package cleanup

var clean func() error

// Export makes f what the component exports. Call it once, from func init of package main. It runs in an instance that has seen
// no review; an error is logged and changes nothing.
func Export(f func() error) { clean = f }

// Run calls what was exported, as the server does. For unit tests.
func Run() error { return clean() }
