from django.db import models


class Order(models.Model):
    customer = models.CharField(max_length=100)
    mailed = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.customer
