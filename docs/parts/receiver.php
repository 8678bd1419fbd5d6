<?php // curl -so public-key.txt https://pay.example.com/public-key; php -S 0.0.0.0:9000 receiver.php
function isSigned(array $fields, string $publicKey): bool
{
    $sign = base64_decode($fields['sign'] ?? '', true);
    unset($fields['sign']);
    ksort($fields, SORT_STRING);
    $pairs = [];
    foreach ($fields as $name => $value) {
        if (trim($value, ' ') !== '') {
            $pairs[] = "$name=$value";
        }
    }
    $pem = "-----BEGIN PUBLIC KEY-----\n" . chunk_split($publicKey, 64, "\n") . "-----END PUBLIC KEY-----\n";
    return $sign !== false && openssl_verify(implode('&', $pairs), $sign, $pem, OPENSSL_ALGO_SHA256) === 1;
}

$fields = array_filter($_POST, 'is_string');
$answer = 'fail';
if (isSigned($fields, trim(file_get_contents(__DIR__ . '/public-key.txt'))) && $fields['orderStatus'] === 'PAY_SUC') {
    // Look up appOrderNo, compare totalAmount, mark it paid unless it is already, commit; then answer.
    error_log("paid {$fields['appOrderNo']} {$fields['totalAmount']}");
    $answer = 'success';
}
echo $answer;
