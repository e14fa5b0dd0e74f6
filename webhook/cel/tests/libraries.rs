//! The function libraries, one table each.

use super::{fail, hold};

#[test]
fn strings() {
    hold(&[
        "'tacocat'.charAt(3) == 'o' && 'a'.charAt(1) == '' && 'ñandú'.charAt(0) == 'ñ'",
        "'hello mellow'.indexOf('ello') == 1 && 'hello mellow'.indexOf('ello', 2) == 7 && 'hello'.indexOf('jello') == -1",
        "''.indexOf('') == 0 && 'ñandú'.indexOf('n') == 2",
        "'hello mellow'.lastIndexOf('ello') == 7 && 'hello mellow'.lastIndexOf('ello', 6) == 1 && 'hello'.lastIndexOf('x') == -1",
        "'hello mellow'.lastIndexOf('ello', 7) == 7 && 'hello'.lastIndexOf('') == 5",
        "['a', 'b'].join() == 'ab' && ['a', 'b'].join(', ') == 'a, b' && [].join('-') == ''",
        "'TacoCÆt'.lowerAscii() == 'tacocÆt' && 'tacoCæt'.upperAscii() == 'TACOCæT' && '  x\\n'.trim() == 'x'",
        "'hello hello'.replace('he', 'we') == 'wello wello' && 'hello hello'.replace('he', 'we', 1) == 'wello hello'",
        "'hello'.replace('he', 'we', 0) == 'hello' && 'ab'.replace('', '_') == '_a_b_'",
        "'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'a,b'.split(',', 0) == []",
        "'abc'.split('') == ['a', 'b', 'c'] && ''.split(',') == [''] && 'a,b'.split(',', -1) == ['a', 'b']",
        "'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco' && 'ñandú'.substring(1, 3) == 'an'",
        "'abc'.startsWith('ab') && 'abc'.endsWith('bc') && 'abc'.contains('b') && !'abc'.contains('x')",
        "strings.quote('a\"b\\n') == '\"a\\\\\"b\\\\n\"'",
        "'%s is %d, %.2f'.format(['x', 3, 1.5]) == 'x is 3, 1.50' && '%%'.format([]) == '%'",
        "'%x %X %o %b'.format([255, 255u, 8, 5]) == 'ff FF 10 101' && '%s'.format([[dyn(1), 'a']]) == '[1, \"a\"]'",
        "'%e'.format([1234.5]) == '1.234500×10⁰³' && '%x'.format(['az']) == '617a' && '%b'.format([true]) == '1'",
    ]);
    fail(&[
        ("request.name.charAt(9) == ''", "out of range"),
        ("request.name.substring(2, 1) == ''", "ends before"),
        ("request.name.substring(-1) == ''", "out of range"),
        ("'%s %s'.format(dyn([request.name])) == ''", "fewer values"),
        ("'%d'.format([dyn(request.name)]) == ''", "does not fit"),
        ("dyn([1]).join() == ''", "no such overload"),
    ]);
}

#[test]
fn regular_expressions() {
    hold(&[
        "'abc 123'.matches('[0-9]+') && matches('abc', '^a.c$') && !'abc'.matches('^b')",
        "'abc 123'.find('[0-9]+') == '123' && 'abc'.find('xyz') == ''",
        "'123 abc 456'.findAll('[0-9]+') == ['123', '456'] && '123 abc 456'.findAll('[0-9]+', 1) == ['123']",
        "'123 abc 456'.findAll('xyz') == [] && '1 2'.findAll('[0-9]', 0) == [] && '1 2'.findAll('[0-9]', -1) == ['1', '2']",
        // As in RE2, classes are ASCII, and `[` within a class is itself.
        "!'é'.matches('^\\\\w$') && !'٣'.matches('^\\\\d$') && 'a1_'.matches('^\\\\w+$') && 'é'.matches('^\\\\W$')",
        "'['.matches('^[[a]$') && '&'.matches('^[a&&b]$') && 'a'.matches('^[[:alpha:]]$') && ']'.matches('^[]a]$')",
        "'a.b'.matches('^\\\\Qa.b\\\\E$') && !'axb'.matches('^\\\\Qa.b\\\\E$') && 'A'.matches('(?i)^a$')",
        "request.name.matches('^' + request.name + '$')",
        "'a-b'.matches('^[\\\\w-]+$') && '5'.matches('^[^\\\\D]$')",
    ]);
    fail(&[("'a'.matches(request.name + '(')", "regular expression")]);
}

#[test]
fn lists_and_sets() {
    hold(&[
        "[1, 2, 3].isSorted() && ['a', 'b', 'b', 'c'].isSorted() && ![2.0, 1.0].isSorted() && [1].isSorted() && [].isSorted()",
        "[1, 3].sum() == 4 && [1.0, 3.0].sum() == 4.0 && [duration('1m'), duration('1s')].sum() == duration('1m1s') && [].sum() == 0",
        "[1, 3].min() == 1 && [1, 3].max() == 3 && ([0] + []).min() == 0 && ['b', 'a'].max() == 'b'",
        "[1, 2, 2, 3].indexOf(2) == 1 && ['a', 'b', 'b', 'c'].lastIndexOf('b') == 2 && [1.0].indexOf(1.1) == -1 && [].indexOf('x') == -1",
        "[1, 2, 3, 4].slice(1, 3) == [2, 3] && [[1], [2, 3]].flatten() == [1, 2, 3] && [[[1]], [[2, 3]]].flatten(2) == [1, 2, 3]",
        "[1, 2, 2, 1].distinct() == [1, 2] && [1, 2].reverse() == [2, 1] && [3, 1, 2].sort() == [1, 2, 3]",
        "['bb', 'a'].sortBy(x, size(x)) == ['a', 'bb'] && [1, 2].first() == optional.of(1) && [].last() == optional.none()",
        "lists.range(3) == [0, 1, 2] && lists.range(0) == []",
        "sets.contains([1, 2], [1]) && !sets.contains([1], [2]) && sets.contains([], []) && sets.contains(dyn([1]), dyn([1.0, 1.5 - 0.5]))",
        "sets.equivalent([1, 2], [2, 1, 1]) && !sets.equivalent([1], [1, 2]) && sets.intersects([1, 2], [2, 3]) && !sets.intersects([1], [])",
    ]);
    fail(&[
        ("request.userInfo.groups.filter(g, false).min() == ''", "empty list"),
        ("dyn(request.userInfo.groups).sum() == 1", "no such overload"),
        ("object.spec.containers.isSorted()", "no such overload"),
        ("request.userInfo.groups.slice(1, 9) == []", "not within"),
        ("(dyn([1]) + dyn(['a'])).sort() == []", "different types"),
    ]);
}

#[test]
fn urls() {
    hold(&[
        "isURL('https://user:pass@example.com:80/path?query=val#fragment') && isURL('/absolute-path')",
        "!isURL('https://a:b:c/') && !isURL('../relative-path') && !isURL('') && !isURL('https://a b/')",
        "url('/path').getScheme() == '' && url('https://example.com/').getScheme() == 'https'",
        "url('https://example.com:80/').getHost() == 'example.com:80' && url('https://example.com/').getHost() == 'example.com'",
        "url('https://[::1]:80/').getHost() == '[::1]:80' && url('https://[::1]/').getHost() == '[::1]' && url('/path').getHost() == ''",
        "url('https://example.com:80/').getHostname() == 'example.com' && url('https://[::1]:80/').getHostname() == '::1'",
        "url('https://[::1]/').getHostname() == '::1' && url('/path').getHostname() == ''",
        "url('https://example.com:80/').getPort() == '80' && url('https://example.com/').getPort() == '' && url('/path').getPort() == ''",
        "url('https://example.com/path').getEscapedPath() == '/path' && url('https://example.com').getEscapedPath() == ''",
        "url('https://example.com/path with spaces/').getEscapedPath() == '/path%20with%20spaces/'",
        "url('https://example.com/path?k1=a&k2=b&k2=c').getQuery() == {'k1': ['a'], 'k2': ['b', 'c']}",
        "url('https://example.com/path?key with spaces=value with spaces').getQuery() == {'key with spaces': ['value with spaces']}",
        "url('https://example.com/path?').getQuery() == {} && url('https://example.com/path').getQuery() == {}",
        "url('https://a/?x=1') == url('https://a/?x=1') && url('https://a/') != url('https://b/')",
    ]);
}

#[test]
fn addresses_and_networks() {
    hold(&[
        "isIP('127.0.0.1') && isIP('::1') && !isIP('127.0.0.256') && !isIP(':::1') && !isIP('::ffff:1.2.3.4')",
        "!isIP('fe80::1%eth0') && !isIP('127.0.0.01')",
        "ip.isCanonical('127.0.0.1') && ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD')",
        "!ip.isCanonical('2001:db8::0:0:0:abcd')",
        "ip('127.0.0.1').family() == 4 && ip('::1').family() == 6 && string(ip('::1')) == '::1'",
        "ip('0.0.0.0').isUnspecified() && ip('::').isUnspecified() && !ip('::1').isUnspecified()",
        "ip('127.0.0.1').isLoopback() && ip('::1').isLoopback() && !ip('192.168.0.1').isLoopback()",
        "ip('224.0.0.1').isLinkLocalMulticast() && !ip('224.0.1.1').isLinkLocalMulticast() && ip('ff02::1').isLinkLocalMulticast()",
        "!ip('fd00::1').isLinkLocalMulticast() && ip('169.254.169.254').isLinkLocalUnicast() && ip('fe80::1').isLinkLocalUnicast()",
        "!ip('fd80::1').isLinkLocalUnicast() && ip('192.168.0.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast()",
        "ip('2001:db8::abcd').isGlobalUnicast() && !ip('ff00::1').isGlobalUnicast()",
        "isCIDR('192.168.0.0/16') && isCIDR('::1/128') && !isCIDR('192.168.0.0/33') && !isCIDR('::1/129') && !isCIDR('10.0.0.0/08')",
        "!isCIDR('::ffff:1.2.3.4/24') && !isCIDR('10.0.0.0')",
        "cidr('192.168.0.0/24').containsIP(ip('192.168.0.1')) && !cidr('192.168.0.0/24').containsIP('192.168.1.1')",
        "cidr('192.168.0.0/16').containsCIDR(cidr('192.168.10.0/24')) && !cidr('192.168.1.0/24').containsCIDR('192.168.2.0/24')",
        "!cidr('192.168.1.0/24').containsCIDR('192.168.0.0/16') && !cidr('10.0.0.0/8').containsIP('::1')",
        "cidr('192.168.0.1/24').ip() == ip('192.168.0.1') && cidr('::1/128').ip().family() == 6",
        "cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24') && cidr('192.168.0.1/24') != cidr('192.168.0.1/24').masked()",
        "cidr('192.168.0.0/16').prefixLength() == 16 && cidr('::1/128').prefixLength() == 128",
    ]);
    fail(&[("ip(request.name).isLoopback()", "not an IP"), ("cidr(request.name).ip().isLoopback()", "not a network")]);
}

#[test]
fn quantities() {
    hold(&[
        "isQuantity('1.3G') && isQuantity('1.3Gi') && !isQuantity('1,3G') && isQuantity('10000k') && !isQuantity('200K')",
        "!isQuantity('Three') && isQuantity('Mi') && !isQuantity('') && isQuantity('1e3') && isQuantity('-1') && !isQuantity('1.2.3')",
        "quantity('50k').isInteger() && quantity('50000000G').isInteger() && !quantity('9999999999999999999999999999999999999G').isInteger()",
        "quantity('50k').asInteger() == 50000 && quantity('50k').sub(20000).asApproximateFloat() == 30000.0",
        "sign(quantity('-1')) == -1 && sign(quantity('0')) == 0 && sign(quantity('1m')) == 1",
        "quantity('50k').add(quantity('20k')) == quantity('70k') && quantity('50k').add(20) == quantity('50020')",
        "quantity('50k').sub(quantity('20k')) == quantity('30k') && quantity('50k').add(20).sub(quantity('100k')).sub(-50000) == quantity('20')",
        "quantity('200M').compareTo(quantity('0.2G')) == 0 && quantity('50M').compareTo(quantity('50Mi')) == -1",
        "quantity('50Mi').compareTo(quantity('50M')) == 1 && quantity('150Mi').isGreaterThan(quantity('100Mi'))",
        "quantity('50M').isLessThan(quantity('100M')) && !quantity('100M').isLessThan(quantity('50M'))",
        "quantity('1.5Gi') == quantity('1536Mi') && quantity('500m') == quantity('0.5') && quantity('1E') == quantity('1e18')",
        "quantity('0.1n') == quantity('1n') && quantity('1e-12') == quantity('1n') && quantity('.5') == quantity('5e-1')",
        "quantity('100E').isGreaterThan(quantity('10E')) && quantity('1e999999999').isGreaterThan(quantity('1'))",
        "quantity('1e-999999999') == quantity('1n') && quantity('0e999999999') == quantity('0') && quantity('0.5Ki') == quantity('512')",
        "quantity('0.0000000001Gi') == quantity('107374183n') && quantity('500m').asApproximateFloat() == 0.5",
    ]);
    fail(&[
        ("quantity('1.5').asInteger() == 1", "cannot convert"),
        ("sign(quantity(request.name)) == 1", "not a quantity"),
        ("quantity('1').compareTo(dyn(semver('1.0.0'))) == 0", "no such overload"),
    ]);
}

#[test]
fn semantic_versions() {
    hold(&[
        "isSemver('1.0.0') && !isSemver('hello') && !isSemver('v1.0') && isSemver('v1.0', true) && isSemver('0.1.0-alpha.1')",
        "semver('1.0', true) == semver('1.0.0') && semver('01.01.01', true) == semver('1.1.1') && semver('v1', true) == semver('1.0.0')",
        "semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2 && semver('1.2.3').patch() == 3",
        "semver('1.2.3').compareTo(semver('1.2.3')) == 0 && semver('1.2.3').compareTo(semver('2.0.0')) == -1",
        "semver('1.2.3').compareTo(semver('0.1.2')) == 1 && semver('1.0.0-alpha').isLessThan(semver('1.0.0'))",
        "semver('1.10.0').isGreaterThan(semver('1.9.0')) && semver('1.0.0+a') == semver('1.0.0+b')",
    ]);
    fail(&[("semver(request.name).major() == 1", "not a semantic version")]);
}

#[test]
fn named_formats() {
    hold(&[
        "!format.dns1123Label().validate('my-label-name').hasValue() && format.dns1123Label().validate('My').hasValue()",
        "!format.dns1123Subdomain().validate('apiextensions.k8s.io').hasValue() && format.dns1123Subdomain().validate('a..b').hasValue()",
        "!format.dns1035Label().validate('a1').hasValue() && format.dns1035Label().validate('1a').hasValue()",
        "!format.qualifiedName().validate('apiextensions.k8s.io/v1beta1').hasValue() && format.qualifiedName().validate('a/b/c').hasValue()",
        "!format.dns1123LabelPrefix().validate('my-label-prefix-').hasValue() && format.dns1123Label().validate('my-label-prefix-').hasValue()",
        "!format.dns1123SubdomainPrefix().validate('mysubdomain.prefix.-').hasValue()",
        "!format.dns1035LabelPrefix().validate('a-').hasValue() && !format.labelValue().validate('').hasValue()",
        "format.labelValue().validate('-x').hasValue() && !format.uri().validate('http://example.com').hasValue() && format.uri().validate('x y').hasValue()",
        "!format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue() && format.uuid().validate('123').hasValue()",
        "!format.byte().validate('aGVsbG8=').hasValue() && format.byte().validate('aGVsbG8').hasValue()",
        "!format.date().validate('2021-01-01').hasValue() && format.date().validate('2021-02-30').hasValue()",
        "!format.datetime().validate('2021-01-01T00:00:00Z').hasValue() && format.datetime().validate('2021-01-01').hasValue()",
        "format.named('dns1123Label').hasValue() && !format.named('nothing').hasValue()",
        "format.named('date').value().validate('x').value() == ['invalid date']",
    ]);
}
