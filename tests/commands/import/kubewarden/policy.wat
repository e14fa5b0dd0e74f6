(module
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "{\22valid\22: true}")
  (data (i32.const 64) "{\22accepted\22: false, \22message\22: \22no\22}")
  (func (export "__guest_call") (param $operation i32) (param i32) (result i32)
    ;; validate_settings is longer than validate.
    (if (i32.gt_u (local.get $operation) (i32.const 8))
      (then (call $response (i32.const 0) (i32.const 15)))
      (else (call $response (i32.const 64) (i32.const 36))))
    (i32.const 1))
  (@custom "io.kubewarden.metadata" "{\22protocolVersion\22: \22v1\22, \22mutating\22: true, \22rules\22: [{\22apiGroups\22: [\22\22], \22apiVersions\22: [\22v1\22], \22resources\22: [\22pods\22], \22operations\22: [\22CREATE\22]}], \22hostCapabilities\22: [\22oci/v1/verify\22], \22annotations\22: {\22io.kubewarden.policy.title\22: \22team-labels\22, \22io.kubewarden.policy.description\22: \22says no\22}}"))
