"""The fields of the application for a merchant's bill (doc 4013394586)."""

from sandbox.wechat_pay.fields import shared
from sandbox.wechat_pay.parameters import Fields, Text

APPLY: Fields = (
    Text("bill_date", "账单日期", 10, required=True),
    shared.SERVICE_ID,
    Text("tar_type", "账单压缩类型", 32, required=True, words=("GZIP",)),
    Text("encryption_algorithm", "加密算法", 32, required=True, words=("AEAD_AES_256_GCM",)),
)
DOWNLOAD: Fields = (Text("token", "下载凭证", 512, required=True),)
